// The class loaders of a build's plugins, made ready before the build.
//
// In: what the last build made its class loaders of, and which classes they defined. Out: for the next build, new ones
// that have loaded and linked these classes and initialised none of them, so that what a class keeps in static fields
// begins anew with each build, as ever. Maven gets one when it asks for a class loader of that name.

package ferry.warm;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BooleanSupplier;

import org.codehaus.plexus.classworlds.ClassWorld;
import org.codehaus.plexus.classworlds.ClassWorldListener;
import org.codehaus.plexus.classworlds.realm.ClassRealm;
import org.codehaus.plexus.classworlds.realm.DuplicateRealmException;
import org.codehaus.plexus.classworlds.realm.NoSuchRealmException;

/** Maven's class loaders by their names. Those that stay are kept by the superclass, a build's are kept here. */
final class Realms extends ClassWorld {
    private final Map<String, Realm> live = new LinkedHashMap<>();
    /** All that this build made, in order; Maven throws most of them away itself. */
    private final List<Realm> made = new ArrayList<>();
    private final Map<String, Realm> ready = new LinkedHashMap<>();
    private final List<ClassWorldListener> listeners = new ArrayList<>();
    private List<Realm.Plan> plans = new ArrayList<>();
    /** The class loaders that no build makes; null while they are being made. */
    private Set<ClassLoader> staying;

    /** From here on what is made is a build's. */
    synchronized void settle() {
        staying = Collections.newSetFromMap(new IdentityHashMap<>());
        staying.addAll(getRealms());
        for (ClassLoader at = getClass().getClassLoader(); at != null; at = at.getParent()) {
            staying.add(at);
        }
        staying.add(null);
    }

    /** Why what was built cannot be believed, or null. */
    synchronized String doubt() {
        for (Realm realm : made) {
            String doubt = realm.doubt();
            if (doubt != null) {
                return doubt;
            }
        }
        return null;
    }

    /** Throws away what the build made, and what was made ready for it and not asked for. */
    synchronized void forget() throws NoSuchRealmException {
        for (ClassRealm realm : getRealms()) {
            if (!staying.contains(realm)) {
                disposeRealm(realm.getId());
            }
        }
        ready.values().forEach(Realm::end);
        ready.clear();
        plans = Realm.Plan.of(made, staying::contains);
        made.clear();
    }

    /** Makes ready what the last build made, until somebody waits for the next. */
    void prepare(BooleanSupplier awaited) {
        Map<Realm.Plan, Realm> news = new IdentityHashMap<>();
        for (Realm.Plan plan : plans) {
            if (awaited.getAsBoolean()) {
                return;
            }
            Realm realm = plan.make(this, news);
            if (realm != null && ready.putIfAbsent(realm.getId(), realm) == null) {
                news.put(plan, realm);
                plan.load(realm, awaited);
            }
        }
    }

    @Override
    public ClassRealm newRealm(String id) throws DuplicateRealmException {
        return newRealm(id, getClass().getClassLoader());
    }

    @Override
    public synchronized ClassRealm newRealm(String id, ClassLoader base) throws DuplicateRealmException {
        if (staying == null) {
            return super.newRealm(id, base);
        }
        if (getClassRealm(id) != null) {
            throw new DuplicateRealmException(this, id);
        }
        Realm realm = ready.remove(id);
        if (realm != null && !realm.fits(base, made)) {
            realm.end();
            realm = null;
        }
        if (realm == null) {
            realm = new Realm(this, id, base);
        }
        realm.handOut();
        live.put(id, realm);
        made.add(realm);
        for (ClassWorldListener listener : listeners) {
            listener.realmCreated(realm);
        }
        return realm;
    }

    @Override
    public synchronized ClassRealm getClassRealm(String id) {
        ClassRealm realm = live.get(id);
        return realm != null ? realm : super.getClassRealm(id);
    }

    @Override
    public synchronized ClassRealm getRealm(String id) throws NoSuchRealmException {
        ClassRealm realm = live.get(id);
        return realm != null ? realm : super.getRealm(id);
    }

    @Override
    public synchronized Collection<ClassRealm> getRealms() {
        List<ClassRealm> all = new ArrayList<>();
        for (Object realm : super.getRealms()) {
            all.add((ClassRealm) realm);
        }
        all.addAll(live.values());
        return all;
    }

    @Override
    public synchronized void disposeRealm(String id) throws NoSuchRealmException {
        Realm realm = live.remove(id);
        if (realm == null) {
            super.disposeRealm(id);
            return;
        }
        realm.end();
        for (ClassWorldListener listener : listeners) {
            listener.realmDisposed(realm);
        }
    }

    @Override
    public synchronized void addListener(ClassWorldListener listener) {
        super.addListener(listener);
        if (!listeners.contains(listener)) {
            listeners.add(listener);
        }
    }

    @Override
    public synchronized void removeListener(ClassWorldListener listener) {
        super.removeListener(listener);
        listeners.remove(listener);
    }
}
