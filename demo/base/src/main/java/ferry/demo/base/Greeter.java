package ferry.demo.base;

/** A service of the base that modules implement: a snippet of a few lines is enough. */
public interface Greeter {
    /** What is said to somebody of this name. */
    String greet(String name);
}
