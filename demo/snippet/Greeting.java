package ferry.demo.snippet;

import ferry.demo.base.Greeter;

/** All of a module: the base calls it, and knows of it by the interface alone. */
public class Greeting implements Greeter {
    @Override
    public String greet(String name) {
        return "hello, " + name;
    }
}
