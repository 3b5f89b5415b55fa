-- ARGV     for each record an entry, owner
-- Returns  for each record: state before, 1 if granted, fence, owner and ms left
--          of another owner's claim, attempts, claims, 1 if cancelled, the
--          result if the run is done
local function grant(r, at)
  r.before = r.state
  r.fence = math.max(us, r.fence + 1)
  r.claims = r.claims + 1
  local claim = { 's', 'c', 't', now, 'o', ARGV[at + 6], 'f', whole(r.fence), 'u', whole(ms + TTL),
    'n', r.claims, 'b', r.before, 'w', '' }
  if r.state == '' then
    r.attempts = 1 -- the lost record may have had an attempt
    first(r.key, at, 'a', r.attempts, unpack(claim))
  else
    redis.call('HSET', r.key, unpack(claim))
    redis.call('PEXPIRE', r.key, KEEP)
  end
end

local function ask(key, at)
  local r = load(key)
  if settled(r) then
    local result = r.state == 'd' and redis.call('HGET', key, 'r') or ''
    return { r.state, 0, '0', '', 0, r.attempts, r.claims, r.cancelled, result }
  end
  if r.state == 'c' and r.owner == ARGV[at + 6] then
    -- A repeated call: the same grant.
    redis.call('HSET', key, 'u', whole(ms + TTL))
  elseif held(r) and r.till > ms then
    return { r.state, 0, '0', r.owner, r.till - ms, r.attempts, r.claims, r.cancelled, '' }
  else
    grant(r, at)
  end
  return { r.before, 1, whole(r.fence), '', 0, r.attempts, r.claims, r.cancelled, '' }
end

local answers = {}
for i = 3, #KEYS do
  answers[i - 2] = ask(KEYS[i], 5 + (i - 3) * 7)
end
return answers
