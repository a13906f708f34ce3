package demo;

import com.fasterxml.jackson.databind.ObjectMapper;

public class Main {
    public static void main(String[] args) throws Exception {
        Answer.say(new ObjectMapper().word());
    }
}
