package com.google.common.base;

public abstract class Converter<A, B> {
    protected Converter() {}

    protected abstract B doForward(A from);

    public final B convert(A from) {
        return null;
    }

    public Converter<B, A> reverse() {
        return null;
    }
}
