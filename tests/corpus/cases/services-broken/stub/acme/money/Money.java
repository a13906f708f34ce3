package acme.money;

public class Money {}
