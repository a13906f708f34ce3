package demo;

import com.google.common.collect.Multiset;

public class Main {
    public static void main(String[] args) throws Exception {
        Multiset set = null;
        Answer.say(set.size());
    }
}
