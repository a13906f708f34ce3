package com.fasterxml.jackson.databind;

public class ObjectMapper {
    public String word() {
        return "ok";
    }
}
