import java.util.UUID;

/** Drives a broker with the official Java client in default settings: {@code Driver BOOTSTRAP RECORDS}. */
public final class Driver {
    private Driver() {}

    public static void main(String[] arguments) {
        String bootstrap = arguments[0];
        int records = Integer.parseInt(arguments[1]);
        String run = UUID.randomUUID().toString().substring(0, 8);
        Steps steps = new Steps();
        ProduceConsume.all(steps, bootstrap, run, records);
        Groups.all(steps, bootstrap, run);
        AdminTour.all(steps, bootstrap, run);
        System.exit(steps.report());
    }
}
