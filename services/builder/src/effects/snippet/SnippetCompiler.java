// Compiles snippets, one after the other, in one JVM that stays.
//
// In: frames on standard input, each a class path, an entry's template and sources. Out: an empty frame once it has
// started, then for each a frame on standard output: the class files and the services that were found, or what is
// wrong and where. A frame is its length as a
// big-endian int, then so many bytes; a text is its UTF-8 the same way. No annotation processor and no plugin of javac
// is looked for, so that nothing of the snippet or of the base ever runs here.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

import javax.lang.model.element.Element;
import javax.lang.model.element.ElementKind;
import javax.lang.model.element.ExecutableElement;
import javax.lang.model.element.Modifier;
import javax.lang.model.element.NestingKind;
import javax.lang.model.element.TypeElement;
import javax.lang.model.type.DeclaredType;
import javax.lang.model.type.TypeMirror;
import javax.lang.model.util.ElementFilter;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.StandardLocation;
import javax.tools.ToolProvider;

import com.sun.source.util.JavacTask;
import com.sun.source.util.Trees;

public final class SnippetCompiler {
    /** It compiled; its sources are wrong; the entry does not compile against this base; the compiler itself failed. */
    private static final int DONE = 0, WRONG = 1, NO_ENTRY = 2, BROKEN = 3;
    /** Errors that are told: a person mends the first ones first. */
    private static final String ERRORS_MAX = "20";
    /** Class paths whose directories stay in memory: bases of a few pools. */
    private static final int KEPT = 4;

    private final JavaCompiler javac = ToolProvider.getSystemJavaCompiler();
    private final Map<String, StandardJavaFileManager> managers = new LinkedHashMap<>(16, 0.75f, true);

    public static void main(String[] args) throws IOException {
        DataOutputStream out = new DataOutputStream(System.out);
        // Whoever prints must not print into a frame.
        System.setOut(new PrintStream(System.err, true));
        DataInputStream in = new DataInputStream(System.in);
        SnippetCompiler compiler = new SnippetCompiler();
        out.writeInt(0);
        out.flush();
        while (true) {
            byte[] frame;
            try {
                frame = in.readNBytes(in.readInt());
            } catch (EOFException end) {
                return;
            }
            byte[] reply = compiler.answer(frame);
            out.writeInt(reply.length);
            out.write(reply);
            out.flush();
        }
    }

    private byte[] answer(byte[] frame) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            compile(new DataInputStream(new ByteArrayInputStream(frame)), new DataOutputStream(bytes));
        } catch (RuntimeException | StackOverflowError | AssertionError failed) {
            bytes.reset();
            DataOutputStream out = new DataOutputStream(bytes);
            out.writeByte(BROKEN);
            text(out, failed.toString());
        }
        return bytes.toByteArray();
    }

    private void compile(DataInputStream in, DataOutputStream out) throws IOException {
        String release = text(in);
        List<File> path = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            path.add(new File(text(in)));
        }
        String template = text(in);
        List<Source> sources = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            sources.add(new Source(text(in), text(in)));
        }
        Memory memory = new Memory(manager(release, path));
        DiagnosticCollector<JavaFileObject> told = new DiagnosticCollector<>();
        Services services = new Services();
        boolean good = run(release, memory, sources, told, services);
        int wrong = WRONG;
        if (good && !services.names.isEmpty()) {
            Source entry = entry(template, services.names, memory.classes.keySet());
            memory.entry = entry.className;
            good = run(release, memory, List.of(entry), told, null);
            wrong = NO_ENTRY;
        }
        if (!good) {
            out.writeByte(wrong);
            errors(out, told);
            return;
        }
        out.writeByte(DONE);
        text(out, memory.entry);
        texts(out, services.names);
        texts(out, services.leftOut);
        out.writeInt(memory.classes.size());
        for (Map.Entry<String, Memory.Output> made : memory.classes.entrySet()) {
            text(out, made.getKey());
            byte[] bytes = made.getValue().bytes.toByteArray();
            out.writeInt(bytes.length);
            out.write(bytes);
        }
    }

    private boolean run(String release, Memory memory, List<Source> sources,
            DiagnosticCollector<JavaFileObject> told, Services services) throws IOException {
        List<String> options = new ArrayList<>(List.of("-proc:none", "-implicit:none", "-nowarn", "-Xlint:none",
                "-g", "-Xmaxerrs", ERRORS_MAX));
        if (!release.isEmpty()) {
            options.addAll(List.of("--release", release));
        }
        JavacTask task = (JavacTask) javac.getTask(null, memory, told, options, null, sources);
        Iterable<? extends Element> elements = task.analyze();
        if (failed(told)) {
            return false;
        }
        if (services != null) {
            for (Element element : elements) {
                if (element instanceof TypeElement type) {
                    services.look(task, type);
                }
            }
        }
        task.generate();
        return !failed(told);
    }

    private static boolean failed(DiagnosticCollector<JavaFileObject> told) {
        return told.getDiagnostics().stream().anyMatch(one -> one.getKind() == Diagnostic.Kind.ERROR);
    }

    /** The base's classes, listed once a class path. */
    private StandardJavaFileManager manager(String release, List<File> path) throws IOException {
        String key = release + " " + path;
        StandardJavaFileManager manager = managers.get(key);
        if (manager == null) {
            manager = javac.getStandardFileManager(null, Locale.ROOT, StandardCharsets.UTF_8);
            manager.setLocation(StandardLocation.CLASS_PATH, path);
            // Neither sources nor plugins of javac are looked for on the class path.
            manager.setLocation(StandardLocation.SOURCE_PATH, List.of());
            manager.setLocation(StandardLocation.ANNOTATION_PROCESSOR_PATH, List.of());
            managers.put(key, manager);
            if (managers.size() > KEPT) {
                String eldest = managers.keySet().iterator().next();
                managers.remove(eldest).close();
            }
        }
        return manager;
    }

    /** The entry stands where it can see every service: without a package where one of them has none. */
    private static Source entry(String template, Set<String> services, Set<String> taken) {
        String first = services.iterator().next();
        boolean bare = services.stream().anyMatch(name -> name.indexOf('.') < 0);
        String folder = bare || first.lastIndexOf('.') < 0 ? "" : packageOf(first, taken);
        String name = "FerryEntry";
        while (taken.contains(folder.isEmpty() ? name : folder + "." + name)) {
            name += "_";
        }
        StringBuilder made = new StringBuilder();
        for (String service : services) {
            made.append(made.length() == 0 ? "" : ", ").append("new ").append(service).append("()");
        }
        String text = template.replace("FerryEntry", name).replace("/* services */", made);
        if (!folder.isEmpty()) {
            text = "package " + folder + ";\n" + text;
        }
        return new Source(name + ".java", text, folder.isEmpty() ? name : folder + "." + name);
    }

    /** The package of a class by its canonical name, in which a nested class has a dot too. */
    private static String packageOf(String canonical, Set<String> taken) {
        String outer = canonical;
        while (!taken.contains(outer) && outer.lastIndexOf('.') >= 0) {
            outer = outer.substring(0, outer.lastIndexOf('.'));
        }
        return outer.lastIndexOf('.') < 0 ? "" : outer.substring(0, outer.lastIndexOf('.'));
    }

    private static void errors(DataOutputStream out, DiagnosticCollector<JavaFileObject> told) throws IOException {
        List<Diagnostic<? extends JavaFileObject>> errors = told.getDiagnostics().stream()
                .filter(one -> one.getKind() == Diagnostic.Kind.ERROR).toList();
        out.writeInt(errors.size());
        for (Diagnostic<? extends JavaFileObject> error : errors) {
            Source source = error.getSource() instanceof Source one ? one : null;
            text(out, source == null ? "" : source.path);
            int at = (int) error.getPosition();
            boolean placed = source != null && error.getPosition() != Diagnostic.NOPOS && at <= source.text.length();
            out.writeInt(placed ? (int) error.getLineNumber() : 0);
            // Characters from the start of the line, a tab being one: what editors count.
            out.writeInt(placed ? at - source.text.lastIndexOf('\n', at - 1) : 0);
            text(out, error.getMessage(Locale.ROOT));
        }
    }

    /** Classes that the entry can make, and that the base can call. */
    private static final class Services {
        final Set<String> names = new TreeSet<>();
        final List<String> leftOut = new ArrayList<>();

        void look(JavacTask task, TypeElement type) {
            for (TypeElement nested : ElementFilter.typesIn(type.getEnclosedElements())) {
                look(task, nested);
            }
            if (type.getKind() != ElementKind.CLASS && type.getKind() != ElementKind.RECORD) {
                return;
            }
            Set<String> implemented = new LinkedHashSet<>();
            fromBase(task, type.asType(), implemented);
            if (implemented.isEmpty() || type.getModifiers().contains(Modifier.ABSTRACT)) {
                return;
            }
            String name = type.getQualifiedName().toString();
            String why = null;
            if (!isOpen(type)) {
                why = "is not public";
            } else if (ElementFilter.constructorsIn(type.getEnclosedElements()).stream()
                    .noneMatch(SnippetCompiler::isPlain)) {
                why = "has no public constructor without parameters";
            }
            if (why == null) {
                names.add(name);
            } else {
                leftOut.add(name + " implements " + String.join(", ", implemented) + " and " + why);
            }
        }

        /** Interfaces that lie on the class path: neither of the snippet nor of Java. */
        private static void fromBase(JavacTask task, TypeMirror type, Set<String> found) {
            for (TypeMirror above : task.getTypes().directSupertypes(type)) {
                if (!(above instanceof DeclaredType declared)
                        || !(declared.asElement() instanceof TypeElement element)) {
                    continue;
                }
                boolean java = !task.getElements().getModuleOf(element).isUnnamed();
                boolean own = Trees.instance(task).getTree(element) != null;
                if (element.getKind() == ElementKind.INTERFACE && !java && !own) {
                    found.add(element.getQualifiedName().toString());
                }
                fromBase(task, above, found);
            }
        }
    }

    /** Public, with everything around it. */
    private static boolean isOpen(TypeElement type) {
        boolean open = type.getModifiers().contains(Modifier.PUBLIC);
        if (type.getNestingKind() == NestingKind.TOP_LEVEL) {
            return open;
        }
        return open && type.getModifiers().contains(Modifier.STATIC)
                && type.getEnclosingElement() instanceof TypeElement around && isOpen(around);
    }

    private static boolean isPlain(ExecutableElement constructor) {
        return constructor.getParameters().isEmpty() && constructor.getModifiers().contains(Modifier.PUBLIC);
    }

    private static final class Source extends SimpleJavaFileObject {
        final String path;
        final String text;
        final String className;

        Source(String path, String text) {
            this(path, text, "");
        }

        Source(String path, String text, String className) {
            super(URI.create("snippet:///" + escaped(path)), Kind.SOURCE);
            this.path = path;
            this.text = text;
            this.className = className;
        }

        private static String escaped(String path) {
            StringBuilder out = new StringBuilder();
            for (byte one : path.getBytes(StandardCharsets.UTF_8)) {
                boolean plain = one == '/' || one == '.' || one == '_' || one == '$' || one == '-'
                        || (one < 128 && one > 0 && Character.isLetterOrDigit(one));
                out.append(plain ? String.valueOf((char) one) : String.format("%%%02X", one & 0xff));
            }
            return out.toString();
        }

        @Override
        public CharSequence getCharContent(boolean ignoreErrors) {
            return text;
        }
    }

    /** Takes class files into memory, and finds those of the first compilation for the second. */
    private static final class Memory extends ForwardingJavaFileManager<StandardJavaFileManager> {
        final Map<String, Output> classes = new TreeMap<>();
        String entry = "";

        Memory(StandardJavaFileManager manager) {
            super(manager);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(Location location, String name, JavaFileObject.Kind kind,
                javax.tools.FileObject sibling) {
            Output output = new Output(name);
            classes.put(name, output);
            return output;
        }

        @Override
        public Iterable<JavaFileObject> list(Location location, String folder, Set<JavaFileObject.Kind> kinds,
                boolean recurse) throws IOException {
            Iterable<JavaFileObject> below = super.list(location, folder, kinds, recurse);
            if (location != StandardLocation.CLASS_PATH || classes.isEmpty()
                    || !kinds.contains(JavaFileObject.Kind.CLASS)) {
                return below;
            }
            List<JavaFileObject> all = new ArrayList<>();
            for (Output one : classes.values()) {
                int dot = one.name.lastIndexOf('.');
                if (folder.equals(dot < 0 ? "" : one.name.substring(0, dot))) {
                    all.add(one);
                }
            }
            below.forEach(all::add);
            return all;
        }

        @Override
        public String inferBinaryName(Location location, JavaFileObject file) {
            return file instanceof Output output ? output.name : super.inferBinaryName(location, file);
        }

        /** It serves the next snippet. */
        @Override
        public void close() {}

        static final class Output extends SimpleJavaFileObject {
            final String name;
            final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

            Output(String name) {
                super(URI.create("made:///" + Source.escaped(name.replace('.', '/')) + ".class"), Kind.CLASS);
                this.name = name;
            }

            @Override
            public OutputStream openOutputStream() {
                bytes.reset();
                return bytes;
            }

            @Override
            public java.io.InputStream openInputStream() {
                return new ByteArrayInputStream(bytes.toByteArray());
            }
        }
    }

    private static String text(DataInputStream in) throws IOException {
        return new String(in.readNBytes(in.readInt()), StandardCharsets.UTF_8);
    }

    private static void text(DataOutputStream out, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    private static void texts(DataOutputStream out, java.util.Collection<String> texts) throws IOException {
        out.writeInt(texts.size());
        for (String one : texts) {
            text(out, one);
        }
    }
}
