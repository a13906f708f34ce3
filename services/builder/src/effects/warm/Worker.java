// Runs Maven again and again in one JVM, each time as its launcher would run it once.
//
// In: on descriptor 4, frames (four bytes of length, then so many bytes of UTF-8): "start" with the folders to
// keep clean, a line each; "build"; "rest". Out: on descriptor 3, "up" by itself, then a frame for each: "ready";
// "exit N" with a line for each thing that the build left running, or "doubt WHY" where it says nothing how the build
// ended; "rested" with a line for each thing that is changed for good. What Maven writes goes to descriptors 1 and 2
// as ever. It needs Java 8 and plexus-classworlds, which Maven starts from.
//
// Each build gets a new Maven container, new plugin class loaders (see Realms) and a new thread; what a build changed
// of the JVM's own state is put back before the next. What cannot be put back is said, and the worker is replaced.

package ferry.warm;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.net.CookieHandler;
import java.net.ProxySelector;
import java.net.ResponseCache;
import java.net.URL;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.Provider;
import java.security.Security;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TimeZone;
import java.util.TreeSet;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.TimeUnit;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.Logger;
import java.util.stream.Stream;

import org.codehaus.plexus.classworlds.ClassWorldListener;
import org.codehaus.plexus.classworlds.launcher.Configurator;
import org.codehaus.plexus.classworlds.launcher.Launcher;
import org.codehaus.plexus.classworlds.realm.ClassRealm;

public final class Worker {
    /** What threads that are about to end get for it, over all. */
    private static final long GRACE_MILLIS = 300;

    private final Launcher launcher = new Launcher();
    private final Realms realms = new Realms();
    private final String[] arguments;
    private final State state;
    private final Map<Path, Set<String>> emptied = new LinkedHashMap<>();
    private final Map<Path, Set<String>> watched = new LinkedHashMap<>();
    private Set<Thread> threads;

    /** A project of nothing, beside this class. */
    private static final String EMPTY = "empty.xml";

    /** The words are those that Java would have got from Maven's launcher: its main class and Maven's arguments. */
    public static void main(String[] words) throws Exception {
        Thread.currentThread().setName("worker");
        DataInputStream requests = new DataInputStream(new FileInputStream("/proc/self/fd/4"));
        DataOutputStream replies = new DataOutputStream(new FileOutputStream("/proc/self/fd/3"));
        Worker worker = new Worker(words);
        send(replies, "up");
        Ahead ahead = null;
        while (true) {
            byte[] request;
            try {
                request = new byte[requests.readInt()];
                requests.readFully(request);
            } catch (EOFException end) {
                // Nobody will ask any more. What a build left running does not hold it up.
                Runtime.getRuntime().halt(0);
                return;
            }
            if (ahead != null) {
                ahead.end();
                ahead = null;
            }
            String asked = new String(request, StandardCharsets.UTF_8);
            send(replies, worker.answer(asked));
            if (asked.equals("rest")) {
                ahead = new Ahead(worker.realms);
                ahead.start();
            }
        }
    }

    private static void send(DataOutputStream replies, String text) throws IOException {
        byte[] reply = text.getBytes(StandardCharsets.UTF_8);
        byte[] frame = ByteBuffer.allocate(4 + reply.length).putInt(reply.length).put(reply).array();
        replies.write(frame);
        replies.flush();
    }

    private Worker(String[] words) throws Exception {
        arguments = Arrays.copyOfRange(words, 1, words.length);
        // A build may look at these, and shall see what it would see in a JVM of its own.
        System.setProperty("sun.java.command", String.join(" ", words));
        String path = System.getProperty("java.class.path");
        int own = path.indexOf(File.pathSeparatorChar);
        String kit = path.substring(0, own);
        System.setProperty("java.class.path", path.substring(own + 1));
        // The JVM keeps jars that were opened by URL; the next build has others under the same names.
        new URL("jar:file:/none.jar!/").openConnection().setDefaultUseCaches(false);
        launcher.setSystemClassLoader(Thread.currentThread().getContextClassLoader());
        try (InputStream conf = new FileInputStream(System.getProperty("classworlds.conf"))) {
            Configurator configurator = new Configurator(launcher);
            configurator.setClassWorld(realms);
            configurator.configure(conf);
        }
        realms.settle();
        state = new State();
        Properties once = once(new File(kit, EMPTY).getPath());
        realms.addListener(new ClassWorldListener() {
            @Override
            public void realmCreated(ClassRealm realm) {
                once.forEach(System.getProperties()::putIfAbsent);
            }

            @Override
            public void realmDisposed(ClassRealm realm) {
            }
        });
    }

    /**
     * The properties that Maven's own classes set when they are loaded: there after its first run, and not after its
     * second when they were taken away between. A build in a JVM of its own has them from when Maven has made its
     * container and the first class loader with it, so a build here gets them then.
     */
    private Properties once(String empty) throws Exception {
        List<String> words = new ArrayList<>(Arrays.asList("-B", "-q", "-o", "-f", empty, "validate"));
        for (String argument : arguments) {
            if (argument.startsWith("-Dmaven.repo.local=") || argument.startsWith("-Dstyle.color=")) {
                words.add(argument);
            }
        }
        Properties once = nothing(words);
        state.settle();
        state.putBack(new TreeSet<>());
        once.keySet().removeAll(nothing(words).keySet());
        state.putBack(new TreeSet<>());
        return once;
    }

    /** The properties after a run on a project of nothing. */
    private Properties nothing(List<String> words) throws Exception {
        // What a repository has in .mvn is for its builds.
        System.setProperty("maven.multiModuleProjectDirectory", new File(words.get(4)).getParent());
        int exit = run(words.toArray(new String[0]));
        if (exit != 0) {
            throw new IllegalStateException("a build of nothing ended with " + exit);
        }
        realms.forget();
        return (Properties) System.getProperties().clone();
    }

    private String answer(String request) throws Exception {
        if (request.startsWith("start\n")) {
            for (String line : request.substring(6).split("\n")) {
                Path folder = Paths.get(line.substring(2));
                (line.startsWith("- ") ? emptied : watched).put(folder, names(folder));
            }
            threads = Thread.getAllStackTraces().keySet();
            return "ready";
        }
        Collection<String> left = new TreeSet<>();
        if (request.equals("build")) {
            int exit = run(arguments.clone());
            running(left);
            String doubt = realms.doubt();
            if (doubt != null) {
                return "doubt " + doubt;
            }
            return "exit " + exit + lines(left);
        }
        if (request.equals("rest")) {
            state.putBack(left);
            realms.forget();
            clean(left);
            System.gc();
            return "rested" + lines(left);
        }
        throw new IllegalArgumentException(request);
    }

    private static String lines(Collection<String> left) {
        StringBuilder lines = new StringBuilder();
        for (String line : left) {
            lines.append('\n').append(line.replace('\n', ' '));
        }
        return lines.toString();
    }

    /** As Maven's launcher does it, on a thread like that of a new JVM. */
    private int run(String[] words) throws InterruptedException {
        int[] exit = {100};
        Thread main = new Thread(null, () -> {
            try {
                launcher.launch(words);
                exit[0] = launcher.getExitCode();
            } catch (Throwable error) {
                error.printStackTrace();
            }
        }, "main");
        main.setContextClassLoader(launcher.getSystemClassLoader());
        main.start();
        main.join();
        System.out.flush();
        System.err.flush();
        state.out.flush();
        state.err.flush();
        return exit[0];
    }

    /** Threads that the build left. A JVM of its own would have ended with them; the JVM's own do not count. */
    private void running(Collection<String> left) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(GRACE_MILLIS);
        ThreadGroup own = Thread.currentThread().getThreadGroup();
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            ThreadGroup group = thread.getThreadGroup();
            boolean pool = thread.getName().startsWith("ForkJoinPool.commonPool-worker-");
            if (threads.contains(thread) || group == null || pool || !own.parentOf(group)) {
                continue;
            }
            long millis = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
            thread.join(Math.max(1, millis));
            if (thread.isAlive()) {
                left.add("the thread " + thread.getName());
            }
        }
        long millis = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
        if (!ForkJoinPool.commonPool().awaitQuiescence(Math.max(1, millis), TimeUnit.MILLISECONDS)) {
            left.add("work in the common pool");
        }
    }

    /** A new sandbox has an empty home and nothing beside the system. */
    private void clean(Collection<String> left) throws IOException {
        for (Map.Entry<Path, Set<String>> folder : emptied.entrySet()) {
            for (String name : names(folder.getKey())) {
                if (!folder.getValue().contains(name)) {
                    remove(folder.getKey().resolve(name));
                }
            }
        }
        for (Map.Entry<Path, Set<String>> folder : watched.entrySet()) {
            if (!names(folder.getKey()).equals(folder.getValue())) {
                left.add("something in " + folder.getKey());
            }
        }
    }

    private static Set<String> names(Path folder) throws IOException {
        Set<String> names = new HashSet<>();
        if (Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
            try (Stream<Path> entries = Files.list(folder)) {
                entries.forEach(entry -> names.add(entry.getFileName().toString()));
            }
        }
        return names;
    }

    private static void remove(Path path) throws IOException {
        if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
            Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rwx------"));
            for (String name : names(path)) {
                remove(path.resolve(name));
            }
        }
        Files.deleteIfExists(path);
    }

    /** What there is once in a JVM, as it is before the first build. */
    private static final class State {
        final PrintStream out = System.out;
        final PrintStream err = System.err;
        private final InputStream in = System.in;
        private final Properties properties = (Properties) System.getProperties().clone();
        private Locale locale;
        private Locale display;
        private Locale format;
        private Thread.UncaughtExceptionHandler handler;
        private ProxySelector proxies;
        private CookieHandler cookies;
        private ResponseCache responses;
        private List<Provider> providers;
        private Handler[] handlers;
        private Level level;
        private LogManager logging;

        /** Takes what only looking at it would make, once Maven has made it. */
        void settle() {
            locale = Locale.getDefault();
            display = Locale.getDefault(Locale.Category.DISPLAY);
            format = Locale.getDefault(Locale.Category.FORMAT);
            handler = Thread.getDefaultUncaughtExceptionHandler();
            proxies = ProxySelector.getDefault();
            cookies = CookieHandler.getDefault();
            responses = ResponseCache.getDefault();
            providers = Arrays.asList(Security.getProviders());
            handlers = Logger.getLogger("").getHandlers();
            level = Logger.getLogger("").getLevel();
            logging = LogManager.getLogManager();
        }

        void putBack(Collection<String> left) {
            System.setOut(out);
            System.setErr(err);
            System.setIn(in);
            System.setProperties((Properties) properties.clone());
            Locale.setDefault(locale);
            Locale.setDefault(Locale.Category.DISPLAY, display);
            Locale.setDefault(Locale.Category.FORMAT, format);
            // Whoever asks first has it looked up, and the property set with it.
            TimeZone.setDefault(null);
            Thread.setDefaultUncaughtExceptionHandler(handler);
            ProxySelector.setDefault(proxies);
            CookieHandler.setDefault(cookies);
            ResponseCache.setDefault(responses);
            if (!Arrays.asList(Security.getProviders()).equals(providers)) {
                left.add("other security providers");
            }
            Logger root = Logger.getLogger("");
            if (logging != LogManager.getLogManager() || !Arrays.equals(root.getHandlers(), handlers)
                    || root.getLevel() != level) {
                left.add("another way of logging");
            }
        }
    }
}
