/** `dblive` on PostgreSQL, metrics on, no tracer. */
import * as Layer from "effect/Layer"
import { openPostgres } from "./dblive/openPostgres.js"

export const open = openPostgres(Layer.empty)
