package ferry.demo.base;

import java.util.Map;
import java.util.TreeMap;
import org.springframework.beans.factory.ListableBeanFactory;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/**
 * Lets whatever {@link Greeter} there is answer, and says which one it was. They come and go with the modules,
 * so they are asked for anew each time. A module's bean is named {@code module:version/class}.
 */
@RestController
public class GreetController {
    private final ListableBeanFactory beans;

    public GreetController(ListableBeanFactory beans) {
        this.beans = beans;
    }

    /** Every greeter's answer, one a line; 404 where there is none. */
    @GetMapping("/greet")
    public ResponseEntity<String> all(@RequestParam(name = "name", defaultValue = "world") String name) {
        return answer("", name);
    }

    /** One module's answer; 404 where it has no greeter here. */
    @GetMapping("/greet/{module}")
    public ResponseEntity<String> one(
            @PathVariable("module") String module, @RequestParam(name = "name", defaultValue = "world") String name) {
        return answer(module + ":", name);
    }

    private ResponseEntity<String> answer(String beginning, String name) {
        Map<String, Greeter> greeters =
                new TreeMap<>(beans.getBeansOfType(Greeter.class, false, false));
        StringBuilder said = new StringBuilder();
        greeters.forEach((bean, greeter) -> {
            if (bean.startsWith(beginning)) {
                said.append(greeter.greet(name)).append(" (").append(bean).append(")\n");
            }
        });
        if (said.length() == 0) {
            return ResponseEntity.status(HttpStatus.NOT_FOUND).body("nobody greets\n");
        }
        return ResponseEntity.ok(said.toString());
    }
}
