package demo;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.databind.ObjectMapper;

public class Main {
    public static void main(String[] args) throws Exception {
        boolean whole = JsonFactory.class.getClassLoader() == ObjectMapper.class.getClassLoader();
        Answer.say(whole && new ObjectMapper().factory != null ? "ok" : "split");
    }
}
