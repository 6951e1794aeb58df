/** The tests of the levels of a session and of the write lock. They load nothing but these. */
import "../test/engine/levels.test.js"
import "../test/engine/writeLock.test.js"
import "../test/engine/transactionState.test.js"
