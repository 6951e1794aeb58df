/** `dblive` on PostgreSQL, as `dblive`, but that a connection serves one fiber at a time. */
import * as Layer from "effect/Layer"
import { openPostgres } from "./dblive/openPostgres.js"

export const open = openPostgres(Layer.empty, { sharing: "off" })
