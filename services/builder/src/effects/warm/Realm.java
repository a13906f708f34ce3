// One class loader of a build, which knows how it was made.
//
// In: Maven's steps: where it looks besides, and which files it has. Out: a plan of another like it. One that was
// made by a plan has gone through the steps already; Maven goes through them once more, and each has to be the one
// that was foreseen, before anything is asked of it. A build in which that was not so cannot be believed.

package ferry.warm;

import java.io.IOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Enumeration;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.function.Predicate;

import org.codehaus.plexus.classworlds.ClassWorld;
import org.codehaus.plexus.classworlds.realm.ClassRealm;

final class Realm extends ClassRealm {
    static {
        // As its superclass is.
        registerAsParallelCapable();
    }

    private final ClassLoader base;
    private final List<Step> steps = new ArrayList<>();
    /** The classes that it defined, in order. */
    private final Set<String> classes = Collections.synchronizedSet(new LinkedHashSet<>());
    /** Its files and what they were, where it was made by a plan; else null. */
    private Map<Path, String> files;
    /** Steps that Maven has gone through once more. */
    private int repeated;
    /** Whether anything was asked of it since it was handed out. */
    private volatile boolean asked;
    /** Whether a step came after that. */
    private boolean late;
    /** Whether a step was not the one that was foreseen. */
    private boolean differs;

    Realm(ClassWorld world, String id, ClassLoader base) {
        super(world, id, base);
        this.base = base;
    }

    /** Whether it is what this build would make: the class loaders that it names are, and its files stay. */
    boolean fits(ClassLoader base, List<Realm> made) {
        for (Step step : steps) {
            if (step.loader instanceof Realm && !made.contains(step.loader)) {
                return false;
            }
        }
        for (Map.Entry<Path, String> file : files.entrySet()) {
            if (!file.getValue().equals(state(file.getKey()))) {
                return false;
            }
        }
        return this.base == base;
    }

    /** What tells whether a file is another, or null where it is none. */
    private static String state(Path file) {
        try {
            BasicFileAttributes about = Files.readAttributes(file, BasicFileAttributes.class);
            return about.isRegularFile()
                    ? about.size() + " " + about.lastModifiedTime() + " " + about.fileKey()
                    : null;
        } catch (IOException error) {
            return null;
        }
    }

    /** From here on it is Maven's: what was asked of it before, to make it ready, does not count. */
    void handOut() {
        asked = false;
    }

    synchronized String doubt() {
        boolean whole = files == null || repeated == steps.size();
        return whole && !differs ? null : "the class path of " + getId() + " is not that of the build before";
    }

    void end() {
        try {
            close();
        } catch (IOException error) {
            // Nobody reads from it any more.
        }
    }

    /** Takes a step. True where it is still to be done. */
    private synchronized boolean isNew(Step step) {
        if (files == null) {
            late |= asked;
            steps.add(step);
            return true;
        }
        if (asked || repeated == steps.size() || !steps.get(repeated).is(step)) {
            differs = true;
            throw new IllegalStateException(doubt());
        }
        repeated++;
        return false;
    }

    @Override
    public void setParentClassLoader(ClassLoader parent) {
        if (isNew(new Step(What.PARENT, parent, ""))) {
            super.setParentClassLoader(parent);
        }
    }

    @Override
    public void setParentRealm(ClassRealm parent) {
        if (isNew(new Step(What.PARENT_REALM, parent, ""))) {
            super.setParentRealm(parent);
        }
    }

    @Override
    public void importFrom(ClassLoader loader, String name) {
        if (isNew(new Step(What.IMPORT, loader, name))) {
            super.importFrom(loader, name);
        }
    }

    @Override
    public void importFromParent(String name) {
        if (isNew(new Step(What.IMPORT_FROM_PARENT, null, name))) {
            super.importFromParent(name);
        }
    }

    @Override
    public void addURL(URL url) {
        if (isNew(new Step(What.FILE, null, url.toExternalForm()))) {
            super.addURL(url);
        }
    }

    @Override
    public Class<?> loadClassFromSelf(String name) {
        asked = true;
        Class<?> found = super.loadClassFromSelf(name);
        if (found != null && found.getClassLoader() == this) {
            classes.add(name);
        }
        return found;
    }

    @Override
    public URL findResource(String name) {
        asked = true;
        return super.findResource(name);
    }

    @Override
    public Enumeration<URL> findResources(String name) throws IOException {
        asked = true;
        return super.findResources(name);
    }

    private enum What {
        PARENT, PARENT_REALM, IMPORT, IMPORT_FROM_PARENT, FILE
    }

    private static final class Step {
        final What what;
        final ClassLoader loader;
        final String name;

        Step(What what, ClassLoader loader, String name) {
            this.what = what;
            this.loader = loader;
            this.name = name;
        }

        boolean is(Step other) {
            return what == other.what && loader == other.loader && name.equals(other.name);
        }

        void on(Realm realm, ClassLoader loader) throws IOException {
            switch (what) {
                case PARENT:
                    realm.setParentClassLoader(loader);
                    break;
                case PARENT_REALM:
                    realm.setParentRealm((ClassRealm) loader);
                    break;
                case IMPORT:
                    realm.importFrom(loader, name);
                    break;
                case IMPORT_FROM_PARENT:
                    realm.importFromParent(name);
                    break;
                default:
                    realm.addURL(new URL(name));
            }
        }
    }

    /** How one was made, without anything of it. */
    static final class Plan {
        private final String id;
        private final ClassLoader base;
        private final List<String> classes;
        /** With the plan of the class loader that a step names, where that is a build's too. */
        private final Map<Step, Plan> steps = new LinkedHashMap<>();

        private Plan(Realm realm) {
            id = realm.getId();
            base = realm.base;
            classes = new ArrayList<>(realm.classes);
        }

        /** Plans of those that can be made ahead, in the order of their making. */
        static List<Plan> of(List<Realm> made, Predicate<ClassLoader> stays) {
            Map<ClassLoader, Plan> plans = new IdentityHashMap<>();
            List<Plan> all = new ArrayList<>();
            for (Realm realm : made) {
                Plan plan = new Plan(realm);
                boolean whole = !realm.late && realm.doubt() == null && stays.test(realm.base);
                for (Step step : realm.steps) {
                    Plan named = plans.get(step.loader);
                    whole &= named != null || stays.test(step.loader);
                    plan.steps.put(named == null ? step : new Step(step.what, null, step.name), named);
                }
                if (whole) {
                    plans.put(realm, plan);
                    all.add(plan);
                }
            }
            return all;
        }

        /** One made by it, or null where what it needs is not there. */
        Realm make(ClassWorld world, Map<Plan, Realm> news) {
            Realm realm = new Realm(world, id, base);
            Map<Path, String> files = new LinkedHashMap<>();
            try {
                for (Map.Entry<Step, Plan> step : steps.entrySet()) {
                    Plan named = step.getValue();
                    ClassLoader loader = named == null ? step.getKey().loader : news.get(named);
                    if (named != null && loader == null) {
                        return null;
                    }
                    step.getKey().on(realm, loader);
                }
                for (URL url : realm.getURLs()) {
                    Path file = Paths.get(url.toURI());
                    String state = state(file);
                    if (state == null) {
                        return null;
                    }
                    files.put(file, state);
                }
            } catch (IOException | URISyntaxException | RuntimeException error) {
                return null;
            }
            realm.files = files;
            return realm;
        }

        /** Has the classes loaded and linked. */
        void load(Realm realm, BooleanSupplier awaited) {
            for (String name : classes) {
                if (awaited.getAsBoolean()) {
                    return;
                }
                try {
                    // To be asked for its constructors a class is linked, and not initialised.
                    Class.forName(name, false, realm).getDeclaredConstructors();
                } catch (ClassNotFoundException | LinkageError | RuntimeException error) {
                    // Left to whoever asks for it.
                }
            }
        }
    }
}
