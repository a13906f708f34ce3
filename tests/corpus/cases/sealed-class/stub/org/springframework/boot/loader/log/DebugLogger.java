package org.springframework.boot.loader.log;

public abstract class DebugLogger {}
