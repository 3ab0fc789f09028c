;; A policy for which exactly once is the rule. Every input may come once: a second one under the same name traps.
;;
;; | kind           | remembers | emits, for the driver `bell` | sets                     | answers |
;; | work           | w<id>     | w<id>                        | timer <id>, 500 ms later | w<id>   |
;; | reprise.timer  | t<id>     | t<id>                        |                          | t<id>   |
;; | reprise.effect | e<key>    |                              |                          | e<key>  |
(data (i32.const 512) "\40\02\00\00\07\00\00\00\48\02\00\00\05\00\00\00\60\02\00\00\03\00\00\00")
(data (i32.const 576) "ringing\001.0.0")
(data (i32.const 608) "\80\02\00\00\0e\00\00\00\90\02\00\00\0d\00\00\00\a0\02\00\00\04\00\00\00")
(data (i32.const 640) "reprise.effect\00\00reprise.timer\00\00\00work")
(data (i32.const 1024) "bell")
;; seq, epoch, time, id, source, kind, payload (pointer and length each), seed
(func (export "step") (type $step) (local $at i32) (local $len i32)
  ;; The first letter says what it is: kinds differ in length.
  (i32.store8 (i32.const 2048)
    (select (i32.const 0x77) (select (i32.const 0x74) (i32.const 0x65) (i32.eq (local.get 8) (i32.const 13)))
      (i32.eq (local.get 8) (i32.const 4))))
  (loop $copy
    (i32.store8 offset=2049 (local.get $at) (i32.load8_u (i32.add (local.get 3) (local.get $at))))
    (br_if $copy (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get 4))))
  (local.set $len (i32.add (local.get 4) (i32.const 1)))
  (call $get (i32.const 2048) (local.get $len) (i32.const 300))
  (if (i32.load8_u (i32.const 300)) (then unreachable))
  (call $put (i32.const 2048) (local.get $len) (i32.const 2048) (local.get $len))
  (if (i32.ne (local.get 8) (i32.const 14)) (then
    (call $emit (i32.const 2048) (local.get $len) (i32.const 1024) (i32.const 4)
      (i64.add (local.get 2) (i64.const 36000000)) (i32.const 2048) (local.get $len)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))
  (if (i32.eq (local.get 8) (i32.const 4)) (then
    (call $set_timer (local.get 3) (local.get 4) (i64.add (local.get 2) (i64.const 500)) (local.get 3) (local.get 4))))
  (i32.store (i32.const 260) (i32.const 2048))
  (i32.store (i32.const 264) (local.get $len))
  (i32.const 256)
)
