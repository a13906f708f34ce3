package acme.tools;

public class Named {
    public String toString() {
        return "ok";
    }
}
