package ferry.demo.base;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Says which base answers, so that a person with three of them sees which is which. */
@RestController
public class NameController {
    private final String name;

    public NameController(@Value("${base.name}") String name) {
        this.name = name;
    }

    @GetMapping("/")
    public String name() {
        return "base " + name + "\n";
    }
}
