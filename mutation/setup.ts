/** What the tests are told for a mutant: it is enough that one fails, and the same mutant is to fail twice. */
import * as fc from "fast-check"

fc.configureGlobal({ endOnFailure: true })
process.env["DBLIVE_SEED"] = "1"
process.env["DBLIVE_HISTORIES"] = "100"
