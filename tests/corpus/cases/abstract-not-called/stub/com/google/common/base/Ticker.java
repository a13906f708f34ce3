package com.google.common.base;

public abstract class Ticker {
    protected Ticker() {}
}
