package com.google.common.collect;

public class Ferry {}
