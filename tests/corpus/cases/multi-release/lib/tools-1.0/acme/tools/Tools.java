package acme.tools;

import com.google.common.collect.Lists;

public class Tools {
    public static String word() {
        return String.valueOf(Lists.newer());
    }
}
