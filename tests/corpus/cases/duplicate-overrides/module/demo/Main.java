package demo;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.springframework.http.converter.json.Jackson2ObjectMapperBuilder;

public class Main extends Jackson2ObjectMapperBuilder {
    @Override
    public void configure(ObjectMapper mapper) {}

    public static void main(String[] args) throws Exception {
        Answer.say(new ObjectMapper() == null ? "none" : new Main().hashCode() == 0 ? "zero" : "ok");
    }
}
