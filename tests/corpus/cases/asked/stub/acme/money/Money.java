package acme.money;

public class Money {
    public static String word() {
        return "money";
    }
}
