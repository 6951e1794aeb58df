/** The tests of transactions and retries as effects, on the fake driver. */
import "../test/engine/session.test.js"
import "../test/engine/withLimits.test.js"
import "../test/engine/sessionFiber.test.js"
import "../test/retry/retry.test.js"
import "../test/time/deadline.test.js"
import "../test/time/limits.test.js"
