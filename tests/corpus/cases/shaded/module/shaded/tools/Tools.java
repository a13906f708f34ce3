package shaded.tools;

public class Tools {
    public static String word() {
        return "ok";
    }

    public static Object money() {
        return new acme.money.Money();
    }
}
