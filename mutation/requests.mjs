import { settings } from "./settings.mjs"

/** One request: sent, limited, stopped, answered; in a session and outside of any. */
export default settings("requests", ["src/internal/request/{Request,PooledRequest,recycle,Deadline}.ts"])
