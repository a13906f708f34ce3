// The thread that makes the class loaders of the next build ready.
//
// In: the class loaders of the last build. Out: nothing that a build would wait for: it ends as soon as the next one
// is asked for.

package ferry.warm;

final class Ahead extends Thread {
    private final Realms realms;
    private volatile boolean awaited;

    Ahead(Realms realms) {
        super("ahead");
        setDaemon(true);
        this.realms = realms;
    }

    @Override
    public void run() {
        realms.prepare(() -> awaited);
    }

    /** The next build is asked for. What was made ready by then can be used. */
    void end() throws InterruptedException {
        awaited = true;
        join();
    }
}
