// Where a base starts a snippet: made by Ferry, and compiled beside it.
//
// In: the snippet's services, made here. They become beans of the base's Spring context, each under
// `module:version/class`, and are taken out again when the base stops the module, so that nothing of it is left.

import com.alipay.sofa.ark.api.ArkClient;
import com.alipay.sofa.ark.spi.event.biz.BeforeBizStopEvent;
import com.alipay.sofa.ark.spi.model.Biz;
import com.alipay.sofa.ark.spi.service.PriorityOrdered;
import com.alipay.sofa.ark.spi.service.event.EventHandler;
import com.alipay.sofa.koupleless.common.BizRuntimeContextRegistry;
import com.alipay.sofa.koupleless.common.MainApplication;
import java.util.LinkedHashMap;
import java.util.Map;
import org.springframework.beans.factory.support.DefaultSingletonBeanRegistry;
import org.springframework.context.ConfigurableApplicationContext;

/** Ark tells a handler of events by its class's own interface, so this is no lambda. */
public final class FerryEntry implements EventHandler<BeforeBizStopEvent> {
    private final Map<String, Object> services = new LinkedHashMap<>();
    private final DefaultSingletonBeanRegistry beans;

    private FerryEntry(DefaultSingletonBeanRegistry beans) {
        this.beans = beans;
    }

    public static void main(String[] arguments) throws Throwable {
        // Without it the base answers an error when the module is uninstalled: it closes the module's Spring context,
        // and there is none.
        MainApplication.init();
        ClassLoader own = FerryEntry.class.getClassLoader();
        Biz biz = ArkClient.getBizManagerService().getBizByClassLoader(own);
        Object context = BizRuntimeContextRegistry.getMasterBizRuntimeContext().getRootApplicationContext();
        FerryEntry entry = new FerryEntry((DefaultSingletonBeanRegistry)
                ((ConfigurableApplicationContext) context).getBeanFactory());
        try {
            for (Object service : new Object[] {/* services */}) {
                entry.put(biz.getIdentity() + "/" + service.getClass().getName(), service);
            }
        } catch (Throwable failed) {
            entry.takeOut();
            throw failed;
        }
        // Ark forgets it with the module's class loader.
        ArkClient.getEventAdminService().register(entry);
    }

    private void put(String name, Object service) {
        beans.registerSingleton(name, service);
        services.put(name, service);
    }

    @Override
    public void handleEvent(BeforeBizStopEvent event) {
        if (event.getSource().getBizClassLoader() == getClass().getClassLoader()) {
            takeOut();
        }
    }

    /** One that does not close does not keep the others in. */
    private void takeOut() {
        services.keySet().forEach(beans::destroySingleton);
        for (Object service : services.values()) {
            if (service instanceof AutoCloseable closeable) {
                try {
                    closeable.close();
                } catch (Exception failed) {
                    System.err.println(service.getClass().getName() + " did not close: " + failed);
                }
            }
        }
        services.clear();
    }

    /** Before the handlers of the base, one of which may fail. */
    @Override
    public int getPriority() {
        return PriorityOrdered.HIGHEST_PRECEDENCE;
    }
}
