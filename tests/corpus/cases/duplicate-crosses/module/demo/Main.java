package demo;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.springframework.http.converter.json.MappingJackson2HttpMessageConverter;

public class Main {
    public static void main(String[] args) throws Exception {
        ObjectMapper mine = new ObjectMapper();
        Answer.say(new MappingJackson2HttpMessageConverter(mine));
    }
}
