package acme.tools;

public class Tools {
    public static String word() {
        return "ok";
    }
}
