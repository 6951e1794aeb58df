import { settings } from "./settings.mjs"

/** Connections, and those who wait for them. */
export default settings("pool", ["src/internal/pool/*.ts", "!src/internal/pool/AcquireRequest.ts"])
