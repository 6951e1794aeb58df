import { conformance } from "../suites/conformance.js"
import { pg } from "./pgTarget.js"

conformance(pg, 10_000)
