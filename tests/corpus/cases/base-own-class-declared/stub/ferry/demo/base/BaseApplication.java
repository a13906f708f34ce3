package ferry.demo.base;

public class BaseApplication {}
