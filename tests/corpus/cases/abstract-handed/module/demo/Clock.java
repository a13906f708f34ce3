package demo;

import com.google.common.base.Ticker;

public class Clock extends Ticker {
    public String word() {
        return "ok";
    }
}
