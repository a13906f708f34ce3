package com.fasterxml.jackson.databind;

import com.fasterxml.jackson.core.JsonFactory;

public class ObjectMapper {
    public final JsonFactory factory = new JsonFactory();
}
