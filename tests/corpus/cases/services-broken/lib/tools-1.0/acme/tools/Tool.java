package acme.tools;

public interface Tool {
    String word();
}
