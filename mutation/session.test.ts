/** The tests of sessions on a connection that is driven by hand. */
import "../test/session/acquire.test.js"
import "../test/session/ahead.test.js"
import "../test/session/cursor.test.js"
import "../test/session/levels.test.js"
import "../test/session/queue.test.js"
import "../test/session/session.test.js"
