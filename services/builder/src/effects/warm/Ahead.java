// The thread that makes the class loaders of the next build ready.
//
// In: the class loaders of the last build. Out: nothing that a build would wait for: it begins when what was built
// last has had the machine to itself for a while, and ends as soon as the next build is asked for.

package ferry.warm;

import java.util.concurrent.TimeUnit;

final class Ahead extends Thread {
    /** An installation takes less on most bases, and would take longer beside this. */
    private static final long QUIET_MILLIS = 2000;

    private final Realms realms;
    private volatile boolean awaited;

    Ahead(Realms realms) {
        super("ahead");
        setDaemon(true);
        this.realms = realms;
    }

    @Override
    public void run() {
        try {
            quiet();
        } catch (InterruptedException end) {
            return;
        }
        realms.prepare(() -> awaited);
    }

    private synchronized void quiet() throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(QUIET_MILLIS);
        for (long left = QUIET_MILLIS; left > 0 && !awaited;
                left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime())) {
            wait(left);
        }
    }

    /** The next build is asked for. What was made ready by then can be used. */
    void end() throws InterruptedException {
        synchronized (this) {
            awaited = true;
            notifyAll();
        }
        join();
    }
}
