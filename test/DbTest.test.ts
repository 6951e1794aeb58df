/** The tests of the example run with those of the repository. */
import "../examples/testing/flaky.test.js"
import "../examples/testing/mock.test.js"
import "../examples/testing/pglite.test.js"
import "../examples/testing/queries.test.js"
import "../examples/testing/rollback.test.js"
import "../examples/testing/sqlite.test.js"
import { describePostgres } from "./kit/postgres.js"

// The only one that needs a server.
describePostgres("examples/testing", async () => {
  await import("../examples/testing/postgres.test.js")
})
