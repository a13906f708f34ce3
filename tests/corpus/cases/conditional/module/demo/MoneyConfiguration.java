package demo;

import acme.money.Money;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;

@ConditionalOnClass(Money.class)
public class MoneyConfiguration {
    public Object money() {
        return new Money();
    }
}
