package demo;

import lombok.Builder;
import lombok.Value;
import lombok.extern.slf4j.Slf4j;

@Slf4j
@Value
@Builder
public class Greeting {
    String word;

    public String logged() {
        log.debug("said {}", word);
        return word;
    }
}
