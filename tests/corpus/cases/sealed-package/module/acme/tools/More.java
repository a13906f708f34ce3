package acme.tools;

public class More {
    public static String word() {
        return Tools.word();
    }
}
