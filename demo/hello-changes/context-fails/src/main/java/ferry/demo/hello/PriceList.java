package ferry.demo.hello;

import org.springframework.stereotype.Component;

/** A bean that cannot be made, so that the module's Spring context does not start. */
@Component
public class PriceList {
    public PriceList() {
        throw new IllegalStateException("the price list is empty: PRICES_FILE is not set");
    }
}
