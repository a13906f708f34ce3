package acme.helper;

public class Helper {}
