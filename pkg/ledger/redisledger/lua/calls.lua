-- The last part of the script: the calls, each about one record. Their order in
-- ARGV is the order in which they take effect. An entry is the run's key, its
-- tenant, the record's tail; a hold is an entry, owner, fence, attempts, 1 if
-- invoking else 0.

local function hold(at)
  return {
    at = at, owner = ARGV[at + 3], fence = tonumber(ARGV[at + 4]),
    attempts = tonumber(ARGV[at + 5]), invoking = ARGV[at + 6] == '1',
  }
end

local function settled(r) return r.state == 'd' or r.state == 'p' end

local function held(r) return r.state == 'c' or r.state == 'i' end

local function holds(r, h) return held(r) and r.owner == h.owner and r.fence == h.fence end

-- Tells whether a hold is lost: see "Claims and fences" in package ledger.
local function lost(r, h) return settled(r) or (h.fence <= r.fence and not holds(r, h)) end

-- Makes a new record, and counts the run as open.
local function first(r, at)
  r.tail = ARGV[at + 2]
  open(ARGV[at + 1], ARGV[at])
end

-- Makes h the record's claim. h must not be lost. If h is not the record's claim
-- already, Redis has lost its grant.
local function putback(r, h)
  if holds(r, h) then return end
  r.before = r.state
  if r.state == '' then first(r, h.at) end
  enter(r, h.invoking and 'i' or 'c')
  r.owner, r.fence, r.till = h.owner, h.fence, ms + PUTBACK
  r.attempts, r.claims = math.max(r.attempts, h.attempts), math.max(r.claims, 1)
end

local function grant(r, at)
  r.before = r.state
  if r.state == '' then
    first(r, at)
    r.attempts = 1 -- the lost record may have had an attempt
  end
  enter(r, 'c')
  r.owner, r.fence, r.till = ARGV[at + 3], math.max(us, r.fence + 1), ms + TTL
  r.claims, r.waiting = r.claims + 1, ''
end

-- Answers a claim; see answerOf.
local function told(r, granted, attempts, begun)
  local other = not granted and held(r)
  return { granted and r.before or r.state, granted and 1 or 0, whole(r.fence), other and r.owner or '',
    other and r.till - ms or 0, attempts, r.claims, r.cancelled, r.state == 'd' and result(r) or '', begun and 1 or 0 }
end

local calls = {}

-- An entry. Answers the state before.
calls.accept = { 3, function(r, at)
  local before = r.state
  if before == '' then
    first(r, at)
    enter(r, 'q')
  end
  return before
end }

-- An entry, owner, 1 to begin at once else 0. Answers: see told.
calls.claim = { 5, function(r, at)
  local begin = ARGV[at + 4] == '1'
  if settled(r) then return told(r, false, r.attempts) end
  local mine = r.owner == ARGV[at + 3]
  if begin and mine and r.state == 'i' and r.attempts == 1 then
    r.till, r.changed = ms + TTL, true -- a repeated call: the same grant
    return told(r, true, 0, true)
  elseif mine and r.state == 'c' then
    r.till, r.changed = ms + TTL, true -- a repeated call: the same grant
  elseif held(r) and r.till > ms then
    return told(r, false, r.attempts)
  else
    grant(r, at)
  end
  if begin and r.attempts == 0 and r.cancelled == '' then
    r.state, r.attempts = 'i', 1
    return told(r, true, 0, true)
  end
  return told(r, true, r.attempts)
end }

-- A hold. Answers 1, or 0 where it is lost.
calls.renew = { 7, function(r, at)
  local h = hold(at)
  if lost(r, h) then return 0 end
  putback(r, h)
  r.till, r.changed = ms + TTL, true
  return 1
end }

-- A hold. Answers 1, or 0 where it is lost.
calls.invoking = { 7, function(r, at)
  local h = hold(at)
  if lost(r, h) then return 0 end
  putback(r, h)
  enter(r, 'i')
  -- Counted from the hold, not the record: repeated, it is the same attempt.
  r.attempts, r.waiting = math.max(r.attempts, h.attempts + 1), ''
  return 1
end }

-- A hold, the reason. Answers 1 if it was recorded, else 0.
calls.wait = { 8, function(r, at)
  if not holds(r, hold(at)) then return 0 end
  r.waiting, r.changed = ARGV[at + 7], true
  return 1
end }

-- A hold, 1 if the script may have executed else 0. Answers 1, or 0 where it is
-- lost. The fence stays in the record, so that a renewal which arrives later finds
-- its hold lost.
calls.release = { 8, function(r, at)
  local h = hold(at)
  if lost(r, h) then return 0 end
  putback(r, h)
  enter(r, 'q')
  if ARGV[at + 7] == '0' then r.attempts = h.attempts - (h.invoking and 1 or 0) end
  return 1
end }

-- A hold, status, result, summary or ''. Answers 1, or 0 where it is lost.
calls.finish = { 10, function(r, at)
  local h = hold(at)
  if r.state == 'd' and r.owner == h.owner and r.fence == h.fence then
    return 1 -- a repeated call: nothing changes
  end
  if lost(r, h) then return 0 end
  putback(r, h)
  enter(r, 'd')
  r.status, r.result, r.waiting = ARGV[at + 7], ARGV[at + 8], ''
  finish(ARGV[at + 1], ARGV[at], r.status)
  summarize(ARGV[at + 1], r.status, ARGV[at + 9])
  return 1
end }

-- The run's key. Answers 1.
calls.published = { 1, function(r, at)
  if r.state == 'p' then return 1 end
  -- Still open: the record of its Finish was lost, and a new record was made.
  if r.state ~= 'd' then finishOdd(string.match(r.tail, '^[^\n]*'), ARGV[at]) end
  r.state, r.since, r.changed = 'p', time[1], true
  return 1
end }

-- An entry. Answers the state before.
calls.cancel = { 3, function(r, at)
  if settled(r) then return r.state end
  if r.state == '' then r.tail, r.since = ARGV[at + 2], now end
  r.cancelled, r.changed = '1', true
  return r.state
end }

local records = {}
for i, text in ipairs(redis.call('MGET', unpack(KEYS, FIRST))) do
  local key = KEYS[FIRST + i - 1]
  records[key] = records[key] or read(key, text)
end

local answers, at = {}, 8
for i = FIRST, #KEYS do
  local call = calls[ARGV[at]]
  table.insert(answers, call[2](records[KEYS[i]], at + 1))
  at = at + 1 + call[1]
end

for _, r in pairs(records) do
  if r.changed then write(r) end
end
enterBooks()
enterRecent()
return answers
