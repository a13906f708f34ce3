package demo;

public class Boat extends com.google.common.collect.Ferry {}
