import java.util.Objects;

/** Runs named checks one after the other and prints one line for each. */
final class Steps {
    interface Check {
        void run() throws Exception;
    }

    private int passed;
    private int failed;

    void step(String name, Check check) {
        try {
            check.run();
            passed++;
            System.out.println("ok " + name);
        } catch (Throwable error) {
            failed++;
            System.out.println("FAIL " + name + " | " + oneLine(error));
        }
    }

    /** The exit status. */
    int report() {
        System.out.println("steps: " + passed + " passed, " + failed + " failed");
        return failed == 0 && passed > 0 ? 0 : 1;
    }

    static void equal(Object expected, Object actual, String what) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError(what + ": expected " + expected + ", got " + actual);
        }
    }

    static void holds(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    /** Expects a future to fail with the given error. */
    static void refused(Class<? extends Throwable> expected, Check check) throws Exception {
        try {
            check.run();
        } catch (Exception error) {
            Throwable cause = error.getCause() == null ? error : error.getCause();
            if (expected.isInstance(cause)) {
                return;
            }
            throw new AssertionError("expected " + expected.getSimpleName() + ", got " + cause);
        }
        throw new AssertionError("expected " + expected.getSimpleName() + ", but it was accepted");
    }

    private static String oneLine(Throwable error) {
        StringBuilder text = new StringBuilder(error.toString());
        for (Throwable cause = error.getCause(); cause != null; cause = cause.getCause()) {
            text.append(" <- ").append(cause);
        }
        return text.toString().replace('\n', ' ');
    }
}
