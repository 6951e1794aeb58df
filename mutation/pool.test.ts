/** The tests that drive the pool by hand. They load nothing but the pool, so that each of many mutants costs little. */
import "../test/engine/codel.test.js"
import "../test/engine/eviction.test.js"
import "../test/engine/deadlineTimer.test.js"
import "../test/engine/WaitQueue.test.js"
import "../test/engine/poolSteps.test.js"
import "../test/engine/poolModel.test.js"
