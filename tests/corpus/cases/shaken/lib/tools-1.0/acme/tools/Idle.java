package acme.tools;

public class Idle {}
